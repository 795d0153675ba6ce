"""What an operator gets, judged with the real programs: nginx, Prometheus, Docker Compose,
kustomize, hadolint, pg_dump.
"""
