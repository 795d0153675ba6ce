"""Tests of openapi.json and the page that reads it."""
