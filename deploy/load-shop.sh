#!/bin/sh
# Run once by the PostgreSQL image, when its volume is empty: the demo shop at its full size.
set -eu
psql --set ON_ERROR_STOP=1 --quiet --single-transaction --username postgres --dbname shop \
    --command "SELECT set_config('shop.customers', '20000', true), set_config('shop.products', '500', true),
                      set_config('shop.orders', '50000', true), set_config('shop.employees', '300', true),
                      set_config('shop.tickets', '5000', true), set_config('shop.events', '60000', true),
                      set_config('shop.seed', '7', true)" \
    --file /docker-entrypoint-initdb.d/shop/shop.sql
psql --quiet --username postgres --dbname shop --command "VACUUM ANALYZE"
