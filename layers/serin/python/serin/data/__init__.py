"""From the bytes of an upload to a judged, typed, stored table."""
