"""What makes questions comparable: word counts and sentence models, and exact search for the nearest."""
