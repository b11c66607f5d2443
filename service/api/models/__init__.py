"""What the API answers, for its documentation.

Routes build their answers as plain dicts and send them as they are: to validate each one against
its model would cost a page of jobs milliseconds, and would turn the record of another release into
a 500. Tests hold every answer against these models instead (tests/support/openapi.py). So a field
that is answered is declared here, and one that is declared without a default is always answered.
"""
