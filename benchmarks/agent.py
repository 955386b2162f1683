"""The agent that the bridge serves while it is measured: it says what the EVI server says."""

from evibridge import Agent

agent = Agent(system_prompt="You answer the telephone.")
