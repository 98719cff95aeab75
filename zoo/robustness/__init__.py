"""How robust a trained network is, without training it again: one record of settings, one answer in JSON.

target       a network seen as texts -> logits, and as word vectors -> logits
vectors      attacks on the word vectors, by strength, with the checks that make them believable
edits        what may be done to a text: letters, characters, words
greedy       the search for the edits that mislead, with a budget of queries, and its control
calibration  whether probabilities mean what they say
detection    whether texts of another kind are told apart
examine      all of it, for one network
"""
