"""The demo company's content: its people, documents and gold questions; not the command that loads them."""
