"""Faults, each a test named as a sentence: real servers, real roles as processes, a client that
journals every answer.
"""
