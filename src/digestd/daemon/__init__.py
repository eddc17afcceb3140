"""The composition root: builds everything, opens the nurseries in the order of outliving, and ends them again.

::

    services nursery   signals, metrics ticker, web server
    └ store > HTTP > parser > reader of pages
      └ sources nursery   one task per source, extraction, following files and database,
                          the tickers of progress and watchdog
"""
