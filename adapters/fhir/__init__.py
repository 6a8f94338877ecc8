"""The FHIR R4 door: laboratory reports as JSON or XML, by HTTP or as bytes from any other door."""
