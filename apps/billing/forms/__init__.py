"""What people enter about money, a module for each kind."""
