"""The whole stack on one machine, with a stand-in Instagram and a callback receiver."""
