"""What all commands share: options from dataclasses (`options.read_command_line`), the console and the spinner."""
