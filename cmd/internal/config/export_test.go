package config

import "reflect"

// KeyPaths lists the paths of all settings, with [] for "each".
func KeyPaths() []string { return keyPaths(reflect.TypeFor[Config](), "") }
