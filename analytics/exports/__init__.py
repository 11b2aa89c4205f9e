"""Events as other systems want them: OCSF, CloudEvents, OpenTelemetry, JSON."""
