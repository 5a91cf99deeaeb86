"""The commands, a module a noun: each is a few lines that ask the client and tell the answer."""
