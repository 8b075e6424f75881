#include <cstdio>

#include "altprop/base/version.h"

int main() { std::printf("altprop %s\n", altprop::version().c_str()); }
