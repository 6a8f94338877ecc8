"""What the tests of the FHIR door share."""
