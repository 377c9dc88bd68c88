"""What the model adapter `hf` is made of; what an engine of another kind shares with it has a star.

options     what a user may say *            digests   SHA-256 of big files, computed once *
folder      what lies in a model's folder *  known     what that makes of its answers *
texts       a request as text, as tokens *   batches   what fits beside one another
spans       what is scored after what *      drafts    what is gone on with *
likelihood  log-probabilities of texts       generation  texts, token by token
embedding   vectors of texts                 engine    the loaded network
halves      these together *                 settings  options as transformers takes them
parallel    one network over processes       rank      such a process
lockstep    that these stay together
"""
