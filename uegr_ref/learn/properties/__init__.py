"""The properties that the method must have: the tests and the grader of the exercises run these very ones.

A property takes the functions under test, draws its own input with hypothesis, and says in words what was
wrong: `divergence.js_is_at_most_ln_k(js)`.
"""
