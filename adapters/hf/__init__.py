"""What the model adapter `hf` is made of.

options     what a user may say              digests   SHA-256 of big files, computed once
folder      what lies in a model's folder    texts     a request as text and as tokens
batches     what fits beside one another     engine    the loaded network
likelihood  log-probabilities of texts       generation  texts, token by token
"""
