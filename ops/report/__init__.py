"""What an action returned, as text for people, as JSON and JUnit for machines."""
