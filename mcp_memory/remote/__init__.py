"""Memory for clients elsewhere: one HTTP application, and who may do what in it.

Nothing is imported here: `serving` lets the memory be opened while the rest of this is.
"""
