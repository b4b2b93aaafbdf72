"""What is answered, one module for each area. :data:`ROUTES` of each is its part of the table."""
