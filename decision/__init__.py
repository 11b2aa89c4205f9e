"""The decision service: who asks, what the statement does, what policy says, and the durable record of it."""

from decision.compiled import install

install()
