"""`vsearch serve`: a library over HTTP, for programs. docs/server.md describes the routes.

FastAPI is an extra, so only `vsearch serve` and programs that embed the server import this package.
"""
