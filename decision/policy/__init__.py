"""Input document, Rego engines, combination, bundles."""
