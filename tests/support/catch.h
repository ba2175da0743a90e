// The one place that knows which Catch2 this is. Debian 12 has v2; for v3 this becomes
// <catch2/catch_all.hpp> and catch_main.cpp goes away.
#pragma once

#include <catch2/catch.hpp>
