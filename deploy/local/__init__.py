"""The whole stack on one machine, with a fake Instagram and a callback receiver."""
