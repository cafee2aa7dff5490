"""How the pocket checkpoints come about: facts, corpus, tokenizer, training, ledger and expectations."""
