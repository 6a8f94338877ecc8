"""A stand-in for the NHI's upload gateway: the published rules, a true ledger, faults on demand.

It knows those rules by its own small implementation and its own tables, so that a mistake of
``mapping`` is not repeated here. It is no copy of the real gateway, whose wire protocol is not
public; ``docs/reference/sandbox.md`` says what is published and what was chosen.
"""
