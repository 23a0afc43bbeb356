"""`vsearch serve`: the library over HTTP, for programs. README.md shows each route.

Only the cli package and whoever embeds the server import this: FastAPI is an extra.
"""
