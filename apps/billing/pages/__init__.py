"""What the pages of cost show, put together for templates and files; no requests, no responses."""
