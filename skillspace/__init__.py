"""SkillSpace: people, resumes, background work and an AI assistant, terminal first."""
