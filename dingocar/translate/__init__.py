"""Translation: simulated pictures that look more like real ones, before anything is learned from them."""
