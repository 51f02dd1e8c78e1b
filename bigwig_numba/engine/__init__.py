"""Engines run a ``ReadPlan``: ``store`` brings the compressed blocks, ``cpu`` or ``cuda`` inflates and reduces them.

``choose.choose_engine`` picks one; nothing here is imported that a machine without a GPU lacks.
"""
