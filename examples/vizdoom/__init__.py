"""A real third-party game as a client of Narthex: Doom by ViZDoom, on a level that `level.py` writes.

Of ours it imports only the generated stubs `narthex.v1`; copy this folder to start a client of your own.
"""
