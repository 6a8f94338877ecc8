"""The console: pages for people, made on the server, with nothing from outside."""
