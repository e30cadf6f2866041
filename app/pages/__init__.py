"""The page server: pages, assets and the way to the API."""
