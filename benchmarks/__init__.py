"""How fast the product is, measured on the product."""
