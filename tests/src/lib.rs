//! Whole-system tests of Sluice. The first ones are `cli/tests` (the demo as a user runs it) and `simulator/tests`.
