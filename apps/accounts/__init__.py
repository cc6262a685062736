"""People, departments, memberships, audiences and sign-in."""
