"""What people hold in their hands: the commands and the demo."""
