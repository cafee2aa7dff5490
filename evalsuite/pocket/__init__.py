"""The pocket checkpoints, the facts they were taught, and the ledger: data only."""
