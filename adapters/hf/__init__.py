"""What the model adapter `hf` is made of; what an engine of another kind shares with it has a star.

options     what a user may say *            settings    the same as transformers takes it
folder      what lies in a model's folder *  digests     SHA-256 of big files, computed once *
known       what that makes of its answers * texts       a request as text, as tokens *
tokens      what texts share, tokenised once * halves    its parts together *
engine      the loaded network               budget      how much of it at once
batches     what is tried in halves *

Scores:
spans       what is scored after what *      likelihood  log-probabilities of texts
trie        rows of tokens, sorted           plan        what of it is computed after what
packs       a part of it as one sequence     packing     the forward pass over one
attention   what its tokens see              kernels     attention in parts
packed      all of a trie                    plain       row by row
head        scores from hidden states        probe       whether packs and rows agree

Texts:
drafts      what is gone on with *           generation  texts, token by token
writing     which token comes next           stopping    where a text stops
continuous  side by side, as room allows     slots       their keys and values

embedding   vectors of texts
parallel, rank, lockstep                     one network over processes
"""
