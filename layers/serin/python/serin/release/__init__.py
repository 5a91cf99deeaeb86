"""How does a version become the one that answers, and how is that taken back?"""
