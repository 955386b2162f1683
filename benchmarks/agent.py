"""The agent that the bridge serves while it is measured: it says what the EVI server says."""

from evibridge import Agent, Manners

agent = Agent(
    system_prompt="You answer the telephone.",
    # Its voice would be made in the background, on the core that is measured.
    manners=Manners(filler=None),
)
