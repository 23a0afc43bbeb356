"""The page in the browser, started by `vsearch ui`: page_server.py serves it, app.py draws it."""
