"""Results on their way to the clinics that ordered them."""
