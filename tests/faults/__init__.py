"""Every fault a car may meet, injected into a running one, and the time until its chip shows neutral."""
