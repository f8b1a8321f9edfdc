"""What all packages stand on: errors, settings, storage, random streams, a program's manners at its terminal."""
