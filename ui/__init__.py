"""The page in the browser. `vsearch ui` starts it; server.py puts it together, app.py is what is seen."""
