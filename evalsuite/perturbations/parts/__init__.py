"""What several perturbations are made of: words, and rules for samples, stems and choices. No perturbation stands here."""
